package main

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	accountPattern = regexp.MustCompile(`(?i)\baccount\s*[:.]?\s*([0-9]{6,12})\b`)
	amountPattern  = regexp.MustCompile(`\$\s*([0-9]{1,3}(?:,?[0-9]{3}){0,2})\.([0-9]{2})\b`)
)

// parse finds the account and the amount in the text of the OCR program. If there
// is not exactly one of each, parse rejects the check instead of choosing.
func parse(text string) (account string, cents int64, err error) {
	accounts := accountPattern.FindAllStringSubmatch(text, 2)
	amounts := amountPattern.FindAllStringSubmatch(text, 2)
	switch {
	case len(accounts) != 1:
		return "", 0, rejection("there is not one account number to be read")
	case len(amounts) != 1:
		return "", 0, rejection("there is not one amount to be read")
	}
	digits := strings.ReplaceAll(amounts[0][1], ",", "") + amounts[0][2]
	if cents, err = strconv.ParseInt(digits, 10, 64); err != nil { // cannot happen: there are at most 11 digits
		return "", 0, rejection("the amount cannot be read")
	}
	return accounts[0][1], cents, nil
}

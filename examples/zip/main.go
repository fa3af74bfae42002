// Command zip builds an example for Linux and packs it for each host. In the
// directory examples,
//
//	go run ./zip catalog bin/catalog.db
//
// writes bin/catalog-lambda.zip, with the program as bootstrap, and
// bin/catalog-openwhisk.zip, with the program as exec and the name of its image in
// exec.env. Further arguments are files to put beside the program in both.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
)

// newestImage is the OW_EXECUTION_ENV of --kind go:1.24, the newest official image
// for Go in November 2026. Images from 1.15 on set this variable.
const newestImage = "openwhisk/action-golang-v1.24"

func main() {
	log.SetFlags(0)
	log.SetPrefix("zip: ")
	var j job
	flag.StringVar(&j.arch, "arch", "amd64", "the architecture of the containers: amd64 or arm64 (Lambda has both)")
	flag.StringVar(&j.image, "image", newestImage, "the OpenWhisk `image` that runs the action (--kind go:1.NN), written to exec.env: it must equal the image's OW_EXECUTION_ENV; actionloop-base accepts any")
	flag.StringVar(&j.out, "o", "bin", "the directory for the zips")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./zip [flags] EXAMPLE [FILE...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	j.example, j.files = flag.Arg(0), flag.Args()[1:]
	zips, err := j.run()
	if err != nil {
		log.Fatal(err)
	}
	for _, z := range zips {
		fmt.Println(z)
	}
}

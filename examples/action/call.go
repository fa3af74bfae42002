package action

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// call converts handler to a function from JSON to JSON. An error becomes an
// answer.
func call[In, Out any](handler Handler[In, Out]) func(context.Context, []byte) []byte {
	return func(ctx context.Context, event []byte) []byte {
		answer, err := callJSON(ctx, handler, event)
		if err != nil {
			return failure(err)
		}
		return answer
	}
}

func callJSON[In, Out any](ctx context.Context, handler Handler[In, Out], event []byte) ([]byte, error) {
	var in In
	if len(event) > 0 {
		if err := json.Unmarshal(event, &in); err != nil {
			return nil, fmt.Errorf("action: decode the event: %w", err)
		}
	}
	out, err := handler(ctx, in)
	if err != nil {
		return nil, err
	}
	answer, err := encode(out)
	if err != nil {
		return nil, fmt.Errorf("action: encode the answer: %w", err)
	}
	// OpenWhisk would destroy the container.
	if answer[0] != '{' && answer[0] != '[' {
		return nil, fmt.Errorf("action: the answer is %.50s, which is no JSON object or array", answer)
	}
	return answer, nil
}

// encode does not escape <, > and &, like aws-lambda-go.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// failure returns an answer that OpenWhisk treats as an application error. It keeps
// the container.
func failure(err error) []byte {
	b, _ := encode(map[string]string{"error": err.Error()}) // strings can always be encoded
	return b
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/warmcache/warmcache/cache"
)

// dynamo is a Store for any number of containers. The table has the partition key
// "id" and the sort key "tenant", both strings. If its TTL attribute is "expires",
// DynamoDB removes expired sessions, but only some time later.
type dynamo struct {
	client *dynamodb.Client
	table  string
}

// openDynamoDB does not use the context of an invocation, because the client
// outlives it.
func openDynamoDB(table string) (Store, error) {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return nil, fmt.Errorf("configure the DynamoDB client: %w", err)
	}
	return dynamo{dynamodb.NewFromConfig(cfg), table}, nil
}

type item = map[string]types.AttributeValue

func (d dynamo) Create(ctx context.Context, s Session) error {
	return d.put(ctx, s, "attribute_not_exists(id)", nil)
}

func (d dynamo) Update(ctx context.Context, s Session) error {
	return d.put(ctx, s, "version = :old", item{":old": number(s.Version - 1)})
}

// put writes the session if the condition holds. A condition on an attribute also
// requires that the session exists.
func (d dynamo) put(ctx context.Context, s Session, condition string, values item) error {
	_, err := d.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                 &d.table,
		Item:                      toItem(s),
		ConditionExpression:       &condition,
		ExpressionAttributeValues: values,
	})
	if failed := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &failed) {
		return errConflict
	}
	return err
}

// Load uses a consistent read. DynamoDB's default may return a session from before
// its logout, and the cache would serve it for a whole TTL.
func (d dynamo) Load(ctx context.Context, key Key) (Session, error) {
	got, err := d.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &d.table,
		Key:            itemKey(key),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return Session{}, err
	}
	if got.Item == nil {
		return Session{}, cache.ErrNotFound
	}
	return fromItem(key, got.Item)
}

func (d dynamo) Delete(ctx context.Context, key Key) error {
	_, err := d.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &d.table, Key: itemKey(key)})
	return err
}

func itemKey(key Key) item {
	return item{"id": text(string(key.ID)), "tenant": text(key.Tenant)}
}

func toItem(s Session) item {
	basket := item{}
	for name, quantity := range s.Basket {
		basket[name] = number(quantity)
	}
	i := item{
		"user":    text(s.User),
		"basket":  &types.AttributeValueMemberM{Value: basket},
		"version": number(s.Version),
		"expires": number(s.Expires.Unix()),
	}
	maps.Copy(i, itemKey(s.Key))
	return i
}

func fromItem(key Key, i item) (Session, error) {
	r := reader{}
	s := Session{
		Key:     key,
		User:    r.text(i["user"]),
		Basket:  map[string]int64{},
		Version: r.number(i["version"]),
		Expires: time.Unix(r.number(i["expires"]), 0),
	}
	basket, ok := i["basket"].(*types.AttributeValueMemberM)
	if !ok {
		return Session{}, fmt.Errorf("the basket is a %T", i["basket"])
	}
	for name, quantity := range basket.Value {
		s.Basket[name] = r.number(quantity)
	}
	return s, r.err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// reader records the first attribute of the wrong type.
type reader struct{ err error }

func (r *reader) text(a types.AttributeValue) string {
	s, ok := a.(*types.AttributeValueMemberS)
	if !ok {
		r.fail(fmt.Errorf("an attribute is a %T instead of a string", a))
		return ""
	}
	return s.Value
}

func (r *reader) number(a types.AttributeValue) int64 {
	s, ok := a.(*types.AttributeValueMemberN)
	if !ok {
		r.fail(fmt.Errorf("an attribute is a %T instead of a number", a))
		return 0
	}
	n, err := strconv.ParseInt(s.Value, 10, 64)
	r.fail(err)
	return n
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Package result is what the bench's commands find: rows of times, with the
// conditions that they were measured under, as a table and as JSON.
package result

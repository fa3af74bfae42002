// Package servers holds the tests of filecache, s3source and httpsource against
// real S3 servers: versitygw always, and MinIO where .ci/install/minio has put it.
// They differ where it matters: in what checksums an object has that was put
// without, in the ETag of a 304, and in what they think of ranges of parts.
package servers

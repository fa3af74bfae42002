// Package servers holds the tests of filecache, s3source and httpsource against
// real S3 servers: versitygw always, MinIO and rclone where .ci/install/minio and
// .ci/install/rclone have put them. The servers differ in the checksums of objects that
// were put without one, in the ETag of a 304, in ranges of parts, and in listing keys.
package servers

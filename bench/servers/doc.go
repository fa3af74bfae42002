// Package servers holds the tests of filecache, s3source and httpsource against
// real S3 servers: versitygw always, MinIO and rclone where .ci/install/minio and
// .ci/install/rclone have put them. They differ where it matters: in what checksums an
// object has that was put without, in the ETag of a 304, in what they think of ranges
// of parts, and in what keys they list.
package servers

// Package deploy checks the deployment files of the examples: the AWS SAM template and
// the wskdeploy manifest of each. It is a separate module because the parser
// of templates is 80 MB.
package deploy

// Package deploy checks the deployment files of the examples: the AWS SAM template and
// the wskdeploy manifest of each. It is a module of its own because the parser of
// templates is 80 MB.
package deploy

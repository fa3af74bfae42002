// Package report writes what the bench has measured as one HTML page that needs
// no network, with its plots beside it as SVG and PNG.
//
// The main job gives it the rows of the examples. The rest it reads from files of
// results, as the other commands of the bench write them with -json: what no file
// has, the page names the command for.
package report

// CoreDNS over zone files: the name server of the tests that ask for proofs of ownership.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/file"

	"github.com/coredns/coredns/coremain"
)

func init() {
	dnsserver.Directives = []string{"bind", "file"}
}

func main() {
	coremain.Run()
}

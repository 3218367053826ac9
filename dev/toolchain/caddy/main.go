// Command caddy is Caddy with what the tests' ingress needs and nothing else: routes, a proxy, certificates from files.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
)

func main() {
	caddycmd.Main()
}

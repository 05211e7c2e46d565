Usage: /tmp/gh/genhash COMMAND [OPTIONS]
Commands:
   -s server-address -p port -u url
   -S -s server-address -p port -u url
   -h

Options:
Either long or short options are allowed.
   --use-ssl         -S       Speak TLS with the server.
   --use-sni         -I       Send the virtual host as server name in the TLS greeting.
   --server          -s       Address of the server.
   --port            -p       Its port.
   --url             -u       Path to ask for.
   --use-virtualhost -V       Host of the request.
   --verbose         -v       Show header, body and time as well.
   --help            -h       Show this.
   --fwmark          -m       Firewall mark of the connection.
   --protocol        -P       HTTP version: '1.0', '1.0c' (with 'Connection: close') or '1.1'.
   --timeout         -t       Longest wait for a connection or an answer (5).

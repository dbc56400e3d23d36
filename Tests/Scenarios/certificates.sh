#!/bin/sh
# certificates.sh FOLDER: makes the certificates that the tls scenarios name, NAME.pem with NAME.key, and ca.pem, the
# authority that a client is to trust. All are for localhost and 127.0.0.1, except that of the wrong host.
set -eu
cd "$1"

certificate() { # certificate NAME HOSTS DAYS: signed by the authority
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
    printf 'subjectAltName=%s\n' "$2" >"$1.extensions"
    openssl x509 -req -in "$1.csr" -extfile "$1.extensions" -days "$3" -CA ca.pem -CAkey ca.key -CAcreateserial -out "$1.pem"
}
self_signed() { # self_signed NAME OPTION...
    name=$1
    shift
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" -days 2 \
        -keyout "$name.key" -out "$name.pem" "$@"
}

here=DNS:localhost,IP:127.0.0.1
self_signed ca
self_signed self-signed -addext "subjectAltName=$here"
certificate good "$here" 2
certificate expired "$here" -1
certificate wrong-host DNS:elsewhere.example 2

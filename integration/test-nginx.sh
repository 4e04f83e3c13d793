#!/bin/bash
# nginx with the key of its certificate in the token: 1 and 4 workers, EC and RSA, TLS 1.2 and 1.3,
# a client key of its own towards an upstream, and reloads while requests are in flight.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx curl openssl swtpm
! port_open 8500 || skip 'port 8500, which the page uses, is taken'
follow docs/nginx.md
grep -q '^you are CN=proxy,' "$PAGE_WORLD/out"
scratch
cd "$WORK"

demo_keys server-ec server-rsa proxy
engine_conf openssl.cnf
mkdir nginx
logs=("$WORK/nginx/error.log" "$WORK/curl.err" "$WORK/s_client.out")
head -c 200000 /dev/urandom >large
PORT=$(free_port) EXAMPLE_PORT=$(free_port)

example() { # what the command prints, with this test's paths and port
    latchkey example nginx server-rsa --token demo --pin-file "$PIN_FILE" |
        sed "s,/etc/nginx/,$WORK/,; s/listen 443/listen 127.0.0.1:$EXAMPLE_PORT/"
}

# nginx_start WORKERS [LINE]: sets nginx_pid
nginx_start() {
    cat >nginx.conf <<EOF
${2:-}
daemon off;
worker_processes $1;
pid nginx.pid;
# As root, too, the workers keep their user: who may read the store is the quickstart's subject.
$([ "$(id -u)" != 0 ] || echo 'user root;')
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    $(example)
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $WORK/server-ec.crt;
        ssl_certificate_key "engine:pkcs11:$(uri demo server-ec)";
        ssl_certificate $WORK/server-rsa.crt;
        ssl_certificate_key "engine:pkcs11:$(uri demo server-rsa)";
        ssl_client_certificate $WORK/ca.crt;
        ssl_verify_client optional;
        ssl_session_cache off;
        ssl_session_tickets off;
        location / { return 200 "\$ssl_protocol \$ssl_cipher client=\$ssl_client_s_dn worker=\$pid\n"; }
        location /slow/ { alias $WORK/; limit_rate 100k; }
        location /upstream {
            proxy_pass https://127.0.0.1:$PORT/;
            proxy_ssl_certificate $WORK/proxy.crt;
            proxy_ssl_certificate_key "engine:pkcs11:$(uri demo proxy)";
            proxy_ssl_trusted_certificate $WORK/ca.crt;
            proxy_ssl_name localhost;
            proxy_ssl_verify on;
            proxy_ssl_session_reuse off;
        }
    }
}
EOF
    OPENSSL_CONF=$WORK/openssl.cnf spawn nginx -e "$WORK/nginx/error.log" -p "$WORK/nginx" \
        -c "$WORK/nginx.conf"
    nginx_pid=$!
    wait_for 'nginx' get / -o /dev/null
}

get() { # get PATH [CURL-OPTION...]
    local path=$1
    shift
    curl -sS -m 60 --fail --cacert ca.crt "https://127.0.0.1:$PORT$path" "$@" 2>curl.err
}

# signed_with ALGORITHM TYPE: in TLS 1.3 a client that verifies this alone gets the key that fits.
signed_with() {
    timeout 60 openssl s_client -connect "127.0.0.1:$PORT" -tls1_3 -sigalgs "$1" -CAfile ca.crt \
        -verify_return_error -verify_quiet </dev/null >s_client.out 2>&1
    grep -qE "^Peer signature type: ($1|$2)\$" s_client.out # OpenSSL 3.5 says which, 3.0 of what kind
}

handshakes() {
    local answer
    answer=$(get / --tlsv1.3)
    [[ "$answer" == 'TLSv1.3 '* ]]
    answer=$(get / --tls-max 1.2 --ciphers ECDHE-ECDSA-AES256-GCM-SHA384)
    [[ "$answer" == 'TLSv1.2 ECDHE-ECDSA-'* ]]
    answer=$(get / --tls-max 1.2 --ciphers ECDHE-RSA-AES256-GCM-SHA384)
    [[ "$answer" == 'TLSv1.2 ECDHE-RSA-'* ]]
    signed_with ecdsa_secp256r1_sha256 ECDSA
    signed_with rsa_pss_rsae_sha256 RSA-PSS
}

# seen WORKERS: requests, four at a time, until that many different workers have answered
seen() {
    local try clients
    : >workers
    for try in {1..50}; do
        clients=()
        for _ in 1 2 3 4; do
            get / >>workers &
            clients+=($!)
        done
        wait "${clients[@]}"
        [ "$(sed 's/.*worker=//' workers | sort -u | wc -l)" -lt "$1" ] || return 0
    done
    die "only $(sed 's/.*worker=//' workers | sort -u | wc -l) of $1 workers answered in $try rounds"
}

# Requests one after the other until the file "stop" appears; a line in FILE for each that failed.
load() {
    local n=0
    while [ ! -e stop ]; do
        get / -o /dev/null || echo "request $n: $(cat curl.err)" >>"$1"
        n=$((n + 1))
    done
    echo $n >>requests
}

reloads() {
    local i clients=()
    rm -f stop requests failures.*
    for i in 1 2 3; do
        load failures.$i &
        clients+=($!)
    done
    get /slow/large -o large.back &
    clients+=($!)
    for i in 1 2 3; do
        sleep 0.6
        kill -HUP "$nginx_pid"
    done
    sleep 0.6
    touch stop
    wait "${clients[@]}"
    ! cat failures.* 2>/dev/null || die 'requests failed during a reload'
    same 'the download that three reloads did not stop' large large.back
}

for workers in 1 4; do
    nginx_start $workers
    handshakes
    ok "$workers worker(s): TLS 1.3 and 1.2, EC and RSA"
    seen $workers
    ok "$workers worker(s): each of them signs"
    [[ "$(get /upstream)" == *'client=CN=proxy '* ]]
    ok "$workers worker(s): proxy_ssl_certificate_key shows the upstream CN=proxy"
    reloads
    ok "$workers worker(s): 3 reloads under load, $(($(paste -sd+ requests))) requests, none lost"
    stop "$nginx_pid" QUIT
done

nginx_start 2 'ssl_engine pkcs11;'
curl -sS -m 60 --cacert ca.crt -o /dev/null "https://127.0.0.1:$EXAMPLE_PORT/"
ok 'latchkey example nginx prints a server that works'
handshakes
seen 2
[[ "$(get /upstream)" == *'client=CN=proxy '* ]]
ok 'ssl_engine pkcs11: the same with the engine as the default one of each worker'
stop "$nginx_pid" QUIT

printf 00000000 >wrong-pin
sed -i "s,pin-source=$PIN_FILE,pin-source=$WORK/wrong-pin," nginx.conf
OPENSSL_CONF=$WORK/openssl.cnf refused 'a wrong PIN' nginx -t -p "$WORK/nginx" -c "$WORK/nginx.conf" \
    -e "$WORK/nginx/wrong.log"
grep -q 'PIN incorrect' nginx/wrong.log
ok 'a wrong PIN: nginx does not start, and its log says why'
refused 'a crash of a worker' grep -E 'exited on signal|\[alert\]|\[emerg\]' nginx/error.log

#!/bin/bash
# Apache with the keys of its certificates in the token: prefork and event, EC and RSA, TLS 1.2 and 1.3, a client certificate
# demanded, graceful restarts under load. As root, its workers are www-data, who sign with what root has logged in to.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need apache2 curl openssl swtpm python3
openssl engine pkcs11 >/dev/null 2>&1 || skip 'OpenSSL has no pkcs11 engine'
! port_open 8505 || skip 'port 8505, which the page uses, is taken'
follow docs/apache.md
[ "$(grep -c '^client: CN=me, TLSv1.3' "$PAGE_WORLD/out")" = 2 ]
SERVICE=
[ "$(id -u)" != 0 ] || SERVICE=www-data
scratch_for "$SERVICE"
cd "$WORK"

demo_keys server-ec server-rsa client-ec client-rsa
engine_conf openssl.cnf
mkdir -p apache/files
echo 'worker=any' >apache/files/index.html # what web_load.py waits for
head -c 200000 /dev/urandom >apache/files/large
PORT=$(free_port) MTLS_PORT=$(free_port) EXAMPLE_PORT=$(free_port)
LOG=$WORK/apache/error.log
logs=("$LOG" "$WORK/curl.err" "$WORK/s_client.out" "$WORK/load/failures")

modules() { # modules MPM
    local module
    for module in "mpm_$1" authn_core authz_core log_config headers dir socache_shmcb ssl; do
        [ -e "/usr/lib/apache2/modules/mod_$module.so" ] || continue # some are built in
        echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
    done
}

host() { # host PORT [LINE]
    cat <<END
Listen 127.0.0.1:$1
<VirtualHost 127.0.0.1:$1>
    SSLEngine on
    SSLCertificateFile $WORK/server-ec.crt
    SSLCertificateKeyFile "$(uri demo server-ec)"
    SSLCertificateFile $WORK/server-rsa.crt
    SSLCertificateKeyFile "$(uri demo server-rsa)"
    ${2:-}
</VirtualHost>
END
}

example() { # what the command prints, with this test's paths and port
    echo "Listen 127.0.0.1:$EXAMPLE_PORT"
    latchkey example apache server-rsa --token demo --pin-file "$PIN_FILE" |
        sed "s,/etc/apache2/,$WORK/,; s/\*:443/127.0.0.1:$EXAMPLE_PORT/"
}

apache_conf() { # apache_conf MPM [LINE]
    modules "$1"
    cat <<END
${2:-}
ServerRoot $WORK/apache
DefaultRuntimeDir $WORK/apache
PidFile $WORK/apache/apache.pid
ServerName localhost
User www-data
Group www-data
ErrorLog $LOG
LogLevel notice
LogFormat "%P %{SSL_PROTOCOL}x %{SSL_CIPHER}x" tls
CustomLog $WORK/apache/access.log tls
KeepAlive off
StartServers 2
<IfModule mpm_event_module>
    ThreadsPerChild 8
    MinSpareThreads 16
    MaxSpareThreads 32
    MaxRequestWorkers 32
</IfModule>
DocumentRoot $WORK/apache/files
DirectoryIndex index.html
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLSessionCache none
SSLSessionTickets off
SSLCACertificateFile $WORK/ca.crt
Header always set Seen "%{SSL_PROTOCOL}s %{SSL_CIPHER}s client=%{SSL_CLIENT_S_DN}s"
$(host "$PORT")
$(host "$MTLS_PORT" 'SSLVerifyClient require')
$(example)
END
}

apache_start() { # apache_start MPM [LINE]: sets apache_pid
    apache_conf "$@" >apache.conf
    : >"$LOG"
    : >apache/access.log
    # It ends its process group, so it gets one of its own.
    OPENSSL_CONF=$WORK/openssl.cnf spawn setsid apache2 -DFOREGROUND -f "$WORK/apache.conf"
    apache_pid=$!
    wait_for 'Apache' port_open "$MTLS_PORT"
}

# get PORT [CURL-OPTION...]: what Apache says of the connection
get() {
    local port=$1
    shift
    OPENSSL_CONF=$WORK/openssl.cnf curl -sS -m 60 --fail --cacert ca.crt -o page -D - "https://127.0.0.1:$port/" "$@" \
        2>curl.err | sed -n 's/\r$//; s/^Seen: //p'
}

# signed_with ALGORITHM TYPE: in TLS 1.3 a client that verifies this alone gets the key that fits.
signed_with() {
    timeout 60 openssl s_client -connect "127.0.0.1:$PORT" -tls1_3 -sigalgs "$1" -CAfile ca.crt \
        -verify_return_error -verify_quiet </dev/null >s_client.out 2>&1
    grep -q "^Peer signature type: $2\$" s_client.out
}

server_keys() {
    [[ "$(get "$PORT" --tlsv1.3)" == 'TLSv1.3 '* ]]
    [[ "$(get "$PORT" --tls-max 1.2 --ciphers ECDHE-ECDSA-AES256-GCM-SHA384)" == 'TLSv1.2 ECDHE-ECDSA-'* ]]
    [[ "$(get "$PORT" --tls-max 1.2 --ciphers ECDHE-RSA-AES256-GCM-SHA384)" == 'TLSv1.2 ECDHE-RSA-'* ]]
    signed_with ecdsa_secp256r1_sha256 ECDSA
    signed_with rsa_pss_rsae_sha256 RSA-PSS
}

client_keys() {
    local label version
    refused 'a client without a certificate' get "$MTLS_PORT"
    for label in client-ec client-rsa; do
        for version in 1.2 1.3; do
            [[ "$(get "$MTLS_PORT" "--tlsv$version" --tls-max $version --cert $label.crt \
                --key "$(uri demo $label)")" == "TLSv$version "*" client=CN=$label" ]]
        done
    done
}

seen() { # requests, four at a time, until two workers have answered
    local try clients
    for try in {1..50}; do
        clients=()
        for _ in 1 2 3 4; do
            get "$PORT" >/dev/null &
            clients+=($!)
        done
        wait "${clients[@]}"
        [ "$(cut -d' ' -f1 apache/access.log | sort -u | wc -l)" -lt 2 ] || return 0
    done
    die "only one worker answered in $try rounds"
}

told() { # told TEXT N: the log says so N times
    [ "$(grep -c "$1" "$LOG")" -ge "$2" ]
}

restarts() { # sets done
    local i
    rm -rf load
    mkdir load
    spawn python3 "$ROOT/integration/web_load.py" "$PORT" ca.crt load >result
    load_pid=$!
    wait_for 'an answer' test -e load/begun
    for i in 1 2 3; do
        sleep 0.5 # so that the workers of now have requests
        kill -USR1 "$apache_pid"
        wait_for 'a graceful restart' told 'resuming normal operations' $((i + 1))
    done
    touch load/stop
    wait "$load_pid"
    # shellcheck disable=SC1091 # written by web_load.py
    . ./result
    # shellcheck disable=SC2154 # set there
    [ "$failed" = 0 ] || die "$failed of $done requests failed"
}

for mpm in prefork event; do
    apache_start $mpm
    server_keys
    ok "$mpm: TLS 1.3 and 1.2, EC and RSA"
    client_keys
    ok "$mpm: a client certificate is demanded, and its key may be in the token, too: EC and RSA, TLS 1.2 and 1.3"
    seen
    [ -z "$SERVICE" ] || [ "$(ps -o user= --ppid "$apache_pid" | sort -u)" = www-data ]
    ok "$mpm: two workers sign${SERVICE:+, as $SERVICE}"
    restarts
    ok "$mpm: 3 graceful restarts under load, $done requests, none failed"
    refused 'a crash of a worker' grep -E 'exit signal|\[[a-z]*:(alert|emerg)\]' "$LOG"
    stop "$apache_pid"
done

apache_start event 'SSLCryptoDevice pkcs11'
server_keys
client_keys
ok 'SSLCryptoDevice pkcs11: all of it with the engine as the default one of the process'
stop "$apache_pid"

apache_start event
[[ "$(get "$EXAMPLE_PORT" --tlsv1.3)" == 'TLSv1.3 '* ]]
ok 'latchkey example apache prints a virtual host that works'
stop "$apache_pid"

printf 00000000 >"$PIN_FILE"
: >"$LOG"
OPENSSL_CONF=$WORK/openssl.cnf refused 'a wrong PIN' timeout 60 apache2 -DFOREGROUND -f "$WORK/apache.conf"
told 'PIN incorrect' 1
ok 'a wrong PIN: Apache does not start, and the log says why'

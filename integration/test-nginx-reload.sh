#!/bin/bash
# nginx with its keys in the token, under load the whole time: reloads, workers that crash, upgrades of
# the binary forth and back, a TPM that is reset. No request fails, but for those that are in a worker
# while it is killed; no wrong PIN is counted and nothing is left in the TPM.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need nginx openssl swtpm python3
scratch
cd "$WORK"
if [ -n "${LATCHKEY_LONG:-}" ]; then RELOADS=200 CRASHES=50 UPGRADES=10; else RELOADS=6 CRASHES=2 UPGRADES=1; fi

demo_keys server-ec server-rsa
engine_conf openssl.cnf
mkdir nginx load
LOG=$WORK/nginx/error.log
logs=("$LOG" "$WORK/load/failures")
PORT=$(free_port)

# A binary upgrade starts the new nginx with the variables that env names.
nginx_start() { # nginx_start WORKERS
    cat >nginx.conf <<EOF2
worker_processes $1;
pid nginx.pid;
error_log $LOG notice;
env OPENSSL_CONF;
env LATCHKEY_CONF;
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
    server {
        listen 127.0.0.1:$PORT ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $WORK/server-ec.crt;
        ssl_certificate_key "engine:pkcs11:$(uri demo server-ec)";
        ssl_certificate $WORK/server-rsa.crt;
        ssl_certificate_key "engine:pkcs11:$(uri demo server-rsa)";
        ssl_session_cache off;
        ssl_session_tickets off;
        location / { return 200 "worker=\$pid\n"; }
    }
}
EOF2
    : >"$LOG"
    # by its whole name, which an upgrade needs
    OPENSSL_CONF=$WORK/openssl.cnf "$(command -v nginx)" -e "$LOG" -p "$WORK/nginx" -c "$WORK/nginx.conf"
    wait_for 'nginx' port_open "$PORT"
}

master() { # master [SUFFIX]: the pid in that pid file
    cat "nginx/nginx.pid${1:-}"
}

nginx_stop() {
    local file
    for file in nginx/nginx.pid nginx/nginx.pid.oldbin; do
        [ ! -e $file ] || kill -QUIT "$(cat $file)" || true
    done
    wait_long 'the end of nginx' test ! -e nginx/nginx.pid
}
at_exit+=(nginx_stop) # the list is run from its end: before $WORK goes

# --- the load ------------------------------------------------------------------------------------

load_start() {
    rm -f load/*
    spawn python3 "$ROOT/integration/web_load.py" "$PORT" ca.crt load >load/result
    load_pid=$!
    wait_long 'an answer' test -e load/begun
}

# Sets done, failed, broken_by_crash, clients.
load_stop() {
    touch load/stop
    wait "$load_pid"
    # shellcheck disable=SC1091 # written by web_load.py
    . load/result
    # shellcheck disable=SC2154 # set there
    [ "$failed" = 0 ] || die "$failed of $done requests failed"
}

# --- what happens to nginx -----------------------------------------------------------------------

told() { # told TEXT: how often the log says so
    grep -c "$1" "$LOG" || true
}

told_more() { # told_more TEXT N
    [ "$(told "$1")" -gt "$2" ]
}

# after TEXT COMMAND...: runs it and waits until the log says TEXT once more
after() {
    local text=$1 before
    before=$(told "$text")
    shift
    "$@"
    wait_long "$text" told_more "$text" "$before"
}

wait_long() { # wait_long WHAT COMMAND...: as wait_for, for a busy machine
    local try
    for ((try = 0; try < 600; try++)); do
        ! "${@:2}" || return 0
        sleep 0.1
    done
    die "$1: not after a minute"
}

reloads() {
    local i
    for ((i = 0; i < RELOADS; i++)); do
        after 'start worker process ' kill -HUP "$(master)"
        sleep 0.2 # requests go to the new workers, too
    done
}

a_worker() {
    pgrep -P "$(master)" | shuf -n 1
}

crashes() {
    local i signal
    touch load/crash
    for ((i = 0; i < CRASHES; i++)); do
        signal=KILL
        [ $((i % 2)) = 0 ] || signal=SEGV
        after 'start worker process ' kill -$signal "$(a_worker)"
        sleep 0.2
    done
    sleep 0.2
    rm load/crash
}

old_master_is_gone() {
    [ ! -e nginx/nginx.pid.oldbin ]
}

# Its pid file goes before it does, and until then the new one takes no further upgrade.
no_master_above() { # no_master_above PID
    old_master_is_gone && [ "$(ps -o ppid= -p "$(master)" | tr -d ' ')" != "$1" ]
}

# nginx.org/en/docs/control.html: the new binary beside the old one; the old one's workers are sent home
upgrade_begin() {
    after 'start worker process ' kill -USR2 "$(master)"
    wait_long 'two masters' test -s nginx/nginx.pid.oldbin
    after 'gracefully shutting down' kill -WINCH "$(master .oldbin)"
    sleep 0.3
}

upgrades() {
    local i old
    for ((i = 0; i < UPGRADES; i++)); do
        upgrade_begin
        # and back: the old one has its workers again, the new one goes
        after 'start worker process ' kill -HUP "$(master .oldbin)"
        kill -QUIT "$(master)"
        wait_long 'one master' old_master_is_gone
        upgrade_begin
        old=$(master .oldbin)
        kill -QUIT "$old"
        wait_long 'one master' no_master_above "$old"
    done
}

tpm_reset() {
    tpm2_shutdown -T "$TCTI" -c
    swtpm_ioctl --unix "$WORK/run/tpm.sock.ctrl" -i
    tpm2_startup -T "$TCTI" -c
}

# --- the TPM's view ------------------------------------------------------------------------------

wrong_pins() {
    tpm2_getcap -T "$TCTI" properties-variable | sed -n 's/^TPM2_PT_LOCKOUT_COUNTER: //p'
}

tpm_untouched() {
    [ "$(wrong_pins)" = "$wrong_pins_before" ] || die "wrong PINs were counted: $(wrong_pins)"
    [ "$(tpm2_getcap -T "$TCTI" handles-transient | grep -c 0x)" -le 2 ] || die 'keys are left in the TPM'
    [ "$(tpm2_getcap -T "$TCTI" handles-loaded-session | grep -c 0x)" -le 1 ] || die 'sessions are left in the TPM'
    [ "$(tpm2_getcap -T "$TCTI" handles-saved-session | grep -c 0x)" = 0 ] || die 'sessions are saved in the TPM'
}

figure() {
    echo "figure: $*"
}

total=0
wrong_pins_before=$(wrong_pins)
for workers in 1 4; do
    nginx_start $workers
    load_start
    reloads
    load_stop
    total=$((total + done))
    ok "$workers worker(s): $RELOADS reloads, $done requests, none failed"

    load_start
    crashes
    load_stop
    total=$((total + done))
    # shellcheck disable=SC2154 # set by load_stop
    [ "$broken_by_crash" -le $((CRASHES * clients)) ] || die "$broken_by_crash requests broken by $CRASHES crashes"
    ok "$workers worker(s): $CRASHES crashes, $done requests, $broken_by_crash broken in the workers that died"

    tpm_reset
    load_start
    upgrades
    load_stop
    total=$((total + done))
    ok "$workers worker(s): upgraded after a reset of the TPM, and back, and again, $done requests, none failed"
    nginx_stop
    tpm_untouched
done
ok 'no wrong PIN was counted, nothing is left in the TPM'
figure "$total requests to nginx, none failed but in killed workers"
figure "$((2 * RELOADS)) reloads of nginx under load"
figure "$((2 * CRASHES)) crashes of nginx workers under load"
figure "$((4 * UPGRADES)) binary upgrades of nginx under load"

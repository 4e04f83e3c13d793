# For the scripts that show browsers: a site that demands certificates, and policies without touching /etc.
# shellcheck shell=bash

# site: a token with the keys me-ec and me-rsa and their certificates, and nginx, which wants one and says whose it saw.
# PORTS has a port for each of TLSv1.2 and TLSv1.3, twice: a browser goes on with a connection that it has.
# What nginx saw is in $WORK/seen: protocol, verdict, subject, path. Sets nginx_pid.
declare -A PORTS
export nginx_pid
site() {
    local label version port=
    demo_keys me-ec me-rsa
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr 2>/dev/null
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
        -extfile <(echo 'subjectAltName = DNS:localhost') -out server.crt 2>/dev/null
    for version in TLSv1.2 TLSv1.3; do
        for label in me-ec me-rsa; do
            PORTS[$version $label]=$(free_port)
        done
    done
    mkdir nginx
    nginx_conf >nginx.conf
    spawn nginx -e "$WORK/nginx/error.log" -p "$WORK/nginx" -c "$WORK/nginx.conf"
    nginx_pid=$!
    for port in "${PORTS[@]}"; do
        wait_for nginx port_open "$port"
    done
}

nginx_conf() {
    local case
    cat <<EOF
daemon off;
pid nginx.pid;
$([ "$(id -u)" != 0 ] || echo 'user root;')
events {}
http {
    log_format seen '\$ssl_protocol \$ssl_client_verify \$ssl_client_s_dn \$request_uri';
    access_log $WORK/seen seen;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    ssl_certificate $WORK/server.crt;
    ssl_certificate_key $WORK/server.key;
    ssl_client_certificate $WORK/ca.crt;
    ssl_verify_client on;
    ssl_session_cache off;
    ssl_session_tickets off;
    default_type text/html;
EOF
    for case in "${!PORTS[@]}"; do
        cat <<EOF
    server {
        listen 127.0.0.1:${PORTS[$case]} ssl;
        ssl_protocols ${case% *};
        return 200 "<link rel=icon href='data:,'><title>hello \$ssl_client_s_dn over \$ssl_protocol</title><body style='font: large sans-serif'>
            <h1>hello \$ssl_client_s_dn</h1>
            <p>You came over \$ssl_protocol, with a certificate whose key is in the TPM.</p>";
    }
EOF
    done
    echo '}'
}

# database DIR: an NSS database that has the module and trusts the site
database() {
    mkdir -p "$1"
    certutil -N -d "sql:$1" --empty-password
    modutil -dbdir "sql:$1" -force -add latchkey -libfile "$MODULE" >/dev/null 2>&1
    trust "$1"
}

trust() {
    certutil -A -d "sql:$1" -n site -t CT,C,C -i "$WORK/ca.crt"
}

# with_etc FILE CONTENT COMMAND...: the command finds FILE, with what is in CONTENT, in its /etc, and nobody else does. The
# rest of that /etc are links to what is in the machine's.
with_etc() {
    local user=()
    [ "$(id -u)" = 0 ] || user=(--map-root-user)
    rm -rf "${WORK:?}/etc"
    mkdir -p "$WORK/etc.old" "$(dirname "$WORK/etc/$1")"
    cp "$2" "$WORK/etc/$1"
    # shellcheck disable=SC2016 # the other shell's
    unshare --mount "${user[@]}" sh -ec 'mount --rbind /etc "$0/etc.old"
        for file in "$0"/etc.old/*; do [ -e "$0/etc/${file##*/}" ] || ln -s "$file" "$0/etc/"; done
        mount --bind "$0/etc" /etc
        exec "$@"' "$WORK" "${@:3}"
}

# picture FILE WIDTH HEIGHT NAME: is a PNG of at least that size, of more than one colour, in less than 150 kB. With
# LATCHKEY_PICTURES=1 it becomes docs/NAME.
picture() {
    local type width height colours
    read -r type width height colours < <(identify -format '%m %w %h %k\n' "$1")
    [[ $type = PNG && $width -ge $2 && $height -ge $3 && $colours -gt 8 ]] ||
        die "$1 is a $type of $width x $height in $colours colours"
    [ "$(stat -c %s "$1")" -lt 150000 ] || die "$1 is too large"
    [ -z "${LATCHKEY_PICTURES:-}" ] || cp "$1" "$ROOT/docs/$4"
}

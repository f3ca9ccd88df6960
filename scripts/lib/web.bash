# shellcheck shell=bash disable=SC2034,SC2154 # scripts/bench's variables
# scripts/bench -w: web servers, which serve the same files. Each has one process
# for the work, keeps connections without a limit, looks at the file for each
# request, and writes a line of a log, which nobody keeps.

web_servers="\
32-http-server|lessons/32-http-server|one|build/32-http-server {files} {port}
nginx|nginx|one|nginx -c {conf}
lighttpd|lighttpd|one|lighttpd -D -f {conf}
http.server|python3|threads|python3 tests/bench/files.py {files} {port}"
web_tls_servers="\
32-http-server|lessons/32-http-server|one|build/32-http-server -s $tls_certificate {files} {port}
nginx|nginx|one|nginx -c {conf}"

# choose_web: for -w, behind choose_tls.
choose_web() {
    servers=$web_servers
    cases="50x1024 50x102400 50x10485760"
    [[ -n $tls ]] || return 0
    servers=$web_tls_servers
    cases="50x1024 50x102400"
}

# make_files: a file of random bytes for each case.
make_files() {
    local case
    mkdir "$here/files" 2>/dev/null || fail_without_room 1
    chmod a+rx "$here" "$here/files"
    for case in $cases; do
        { head -c "${case#*x}" /dev/urandom >"$here/files/${case#*x}"; } 2>/dev/null ||
            fail_without_room 1
    done
}

# write_nginx_conf FILE: one process, and TLS as ours has it. Without files, it is
# for handshakes.
write_nginx_conf() {
    local name places='' secure='' ssl='' reply='return 204;' log=off
    for name in client_body proxy fastcgi uwsgi scgi; do
        places+="${name}_temp_path $here/$name; "
    done
    if [[ -n $web ]]; then
        reply="root $here/files;"
        log="/dev/null combined buffer=64k"
    fi
    if [[ -n $tls ]]; then
        ssl=ssl
        secure="ssl_certificate $PWD/${tls_certificate% *};
        ssl_certificate_key $PWD/${tls_certificate#* };
        ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off;
        ssl_session_tickets off; ssl_conf_command NumTickets 0;"
    fi
    cat >"$1" <<END
daemon off; master_process off; pid $here/nginx.pid;
error_log $here/nginx.log;
events { worker_connections 4096; }
http {
    access_log $log; $places
    sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:$port $ssl backlog=4096;
        $secure
        $reply
    }
}
END
}

# write_lighttpd_conf FILE: 65535 requests a connection are the most it allows.
write_lighttpd_conf() {
    cat >"$1" <<END
server.document-root = "$here/files"
server.bind = "127.0.0.1"
server.port = $port
server.modules = ( "mod_accesslog" )
accesslog.filename = "/dev/null"
server.errorlog = "$here/lighttpd.log"
server.max-fds = 8192
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.stat-cache-engine = "disable"
END
}

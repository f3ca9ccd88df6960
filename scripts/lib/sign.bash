# shellcheck shell=bash disable=SC2034,SC2154 # scripts/certs shares its variables
# Makes one certificate, as a line of scripts/lib/certificates describes it. The
# variable here is the folder in which all is made; with[KEY] describes the
# certificate.

# quietly ARGUMENT...: runs openssl without the system's own settings, and shows
# what it says only if it fails.
quietly() {
    OPENSSL_CONF=$here/config openssl "$@" >"$here/log" 2>&1 && return
    cat "$here/log" >&2
    return 1
}

# make_keys: on elliptic curves where we can choose, because an RSA key takes
# longer to make.
make_keys() {
    local name kind
    printf '%s\n' '[req]' 'distinguished_name = any' '[any]' >"$here/config"
    while read -r name kind; do
        # shellcheck disable=SC2086 # an algorithm and its option
        quietly genpkey -out "$here/keys/$name" -algorithm $kind
        quietly req -new -key "$here/keys/$name" -subj / \
            -out "$here/keys/$name.request"
    done <<'END'
root EC -pkeyopt ec_paramgen_curve:P-256
authority EC -pkeyopt ec_paramgen_curve:P-256
second EC -pkeyopt ec_paramgen_curve:P-256
other EC -pkeyopt ec_paramgen_curve:P-256
server EC -pkeyopt ec_paramgen_curve:P-256
client EC -pkeyopt ec_paramgen_curve:P-256
p384 EC -pkeyopt ec_paramgen_curve:P-384
ed25519 ED25519
rsa RSA -pkeyopt rsa_keygen_bits:2048
small RSA -pkeyopt rsa_keygen_bits:1024
END
}

# set_kind KIND NAME: sets with[] to what such a certificate is usually like.
set_kind() {
    with=(
        [key]=$1 [subject]=$2 [md]=sha256 [from]=20200101000000Z
        [to]=20491231235959Z [trust]=root [taken]=- [name]=$2
        [ski]=hash [aki]=keyid
    )
    case $1 in
    root | ca)
        with[bc]=critical,CA:TRUE
        with[ku]=critical,keyCertSign,cRLSign
        [[ $1 == root ]] && with[aki]='' || with[key]=authority
        ;;
    server)
        with[eku]=serverAuth with[san]=DNS:server.example
        with[taken]=server.example
        ;;
    client) with[eku]=clientAuth ;;
    esac
    case $1 in
    server | client)
        with[bc]=critical,CA:FALSE
        with[ku]=critical,digitalSignature
        ;;
    esac
}

# print_extensions: those in with[], as openssl's configuration has them.
print_extensions() {
    local key
    local -A names=(
        [bc]=basicConstraints [ku]=keyUsage [eku]=extendedKeyUsage
        [san]=subjectAltName [ski]=subjectKeyIdentifier
        [aki]=authorityKeyIdentifier
    )
    for key in "${!names[@]}"; do
        case $key in
        ski | aki) echo "${names[$key]} = ${with[$key]:-none}" ;;
        *) [[ -z ${with[$key]-} ]] || echo "${names[$key]} = ${with[$key]}" ;;
        esac
    done
    [[ -z ${with[ext]-} ]] || echo "${with[ext]%%=*} = ${with[ext]#*=}"
}

# sign ISSUER FILE: makes the certificate that with[] describes.
sign() {
    local -a signer=(-selfsign -keyfile "$here/keys/${with[key]}")
    [[ $1 == self ]] ||
        signer=(-cert "$here/$1.cert" -keyfile "$here/$1.key")
    {
        printf '%s\n' '[ca]' 'default_ca = us' '[us]' 'policy = any' \
            "database = $here/index" "new_certs_dir = $here/new" \
            'unique_subject = no' 'rand_serial = yes' '[any]' \
            'commonName = optional' '[extensions]'
        print_extensions
    } >"$here/config"
    quietly ca -batch -notext -extensions extensions \
        "${signer[@]}" -in "$here/keys/${with[key]}.request" -md "${with[md]}" \
        -subj "/${with[subject]:+CN=${with[subject]}}" \
        -startdate "${with[from]}" -enddate "${with[to]}" -out "$2"
}

# forge FILE A/B: puts B in the place of A after the signature was made, as an
# attacker does who can write files but has no key.
forge() {
    quietly x509 -in "$1" -outform DER -out "$here/der"
    sed -i "s/$2/" "$here/der"
    quietly x509 -inform DER -in "$here/der" -out "$1"
}

# join FILE...: as cat does, but without a process: there are hundreds of them.
join() {
    local file text
    for file; do
        [[ -s $file ]] || return 1
        IFS= read -rd '' text <"$file" || true # there is no NUL at its end
        printf '%s' "$text"
    done
}

# make_certificate NAME KIND ISSUER CHANGE...: makes it, its key, and the file of
# what is sent. Status 1 where this system refuses to make one that is so weak.
make_certificate() {
    local kind=$2 issuer=$3 change file
    local -A with
    set_kind "$kind" "$1"
    for change in "${@:4}"; do
        with[${change%%=*}]=${change#*=}
    done
    name=${with[name]} taken=${with[taken]} trust=${with[trust]}
    file=$here/$name
    sign "$issuer" "$file.cert" || return
    [[ -z ${with[forge]-} ]] || forge "$file.cert" "${with[forge]}"
    join "$here/keys/${with[key]}" >"$file.key"

    local -a chain=()
    if [[ -n ${with[chain]+is set} ]]; then
        IFS=, read -ra chain <<<"${with[chain]}"
        chain=("${chain[@]/%/.cert}")
        chain=("${chain[@]/#/$here/}")
    elif [[ $issuer != self && $issuer != *root ]]; then
        chain=("$here/$issuer.pem") # the root is not sent: a peer that does not have it would not trust it
    fi
    join "$file.cert" "${chain[@]}" >"$file.pem"
}

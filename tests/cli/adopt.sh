#!/bin/bash
# Keys that other programs had this TPM make: TSS2 PRIVATE KEY files of tpm2-openssl, tpm2-tss-engine
# and tpm2-tools, persistent keys. The token's copy signs as the same key, and theirs goes on working.
. "$(dirname "$0")/lib.sh"
start_token
printf 'sesame\n' >password
printf 'wrong\n' >wrong
export TPM2OPENSSL_TCTI=$LATCHKEY_TCTI TPM2TOOLS_TCTI=$LATCHKEY_TCTI TPM2TSSENGINE_TCTI=$LATCHKEY_TCTI

tpm2_openssl() { # the provider of tpm2-openssl beside the usual one
    openssl "$@" -provider tpm2 -provider default
}

same_key() { # NAME PUBLIC-PEM: the token's key of that name is that one, and signs
    succeeds lk key export "$1"
    holds cmp out "$2"
    succeeds lk key csr "$1" --subject "/CN=$1" --pin-file pin -o "$1.csr"
    holds openssl req -in "$1.csr" -verify -noout 2>/dev/null
    openssl req -in "$1.csr" -noout -pubkey >out
    holds cmp out "$2"
}

count() { # of the objects on the token
    succeeds lk object list --login --pin-file pin --json
    objects=$(python3 -c 'import json; print(len(json.load(open("out"))))')
}

# --- tpm2-openssl ----------------------------------------------------------------------------------
tpm2_openssl genpkey -algorithm EC -pkeyopt group:P-256 -out ec.pem 2>/dev/null
tpm2_openssl pkey -in ec.pem -pubout -out ec.pub 2>/dev/null
holds grep -q 'TSS2 PRIVATE KEY' ec.pem
succeeds lk key import ec.pem --label ec --id 0e --pin-file pin --json
json 'd["label"] == "ec" and d["id"] == "0e" and d["type"] == "EC P-256"'
same_key ec ec.pub
succeeds lk key show ec --login --pin-file pin --json
json 'd["local"] and not d["extractable"] and d["protection"] == "tpm"'
echo text >text # the file's own key goes on working
holds tpm2_openssl pkeyutl -sign -rawin -digest sha256 -inkey ec.pem -in text -out text.sig
holds openssl dgst -sha256 -verify ec.pub -signature text.sig text >/dev/null

tpm2_openssl genpkey -algorithm RSA -pkeyopt bits:2048 -out rsa.pem 2>/dev/null
tpm2_openssl pkey -in rsa.pem -pubout -out rsa.pub 2>/dev/null
succeeds lk key import rsa.pem --label rsa --pin-file pin
prints 'TYPE +RSA 2048'
same_key rsa rsa.pub

exits 7 lk key import ec.pem --label again --pin-file pin
complains "on the token already, as 'ec'"
succeeds lk key import ec.pem --label again --pin-file pin --force
same_key again ec.pub

# --- with a password -------------------------------------------------------------------------------
tpm2_openssl genpkey -algorithm EC -pkeyopt group:P-384 -pkeyopt user-auth:sesame -out locked.pem 2>/dev/null
tpm2_openssl pkey -in locked.pem -pubout -passin pass:sesame -out locked.pub 2>/dev/null
count
before=$objects
exits 4 lk key import locked.pem --label locked --pin-file pin --password-file wrong
complains 'the password of the key in locked.pem is wrong'
exits 2 lk key import locked.pem --label locked --pin-file pin
count
same "$objects" "$before"
succeeds lk key import locked.pem --label locked --pin-file pin --password-file password
same_key locked locked.pub
succeeds lk_typing sesame key import locked.pem --label typed --pin-file pin --force
same_key typed locked.pub

# --- tpm2-tools: below a persistent parent, and persistent itself ------------------------------------
tpm2 createprimary -Q -C o -G rsa2048 -c primary.ctx
tpm2 evictcontrol -Q -C o -c primary.ctx 0x81000010 -o /dev/null
tpm2 flushcontext -t
tpm2 create -Q -C 0x81000010 -G ecc256 -u tools.pub -r tools.priv
tpm2 encodeobject -Q -C 0x81000010 -u tools.pub -r tools.priv -o tools.pem
tpm2 readpublic -Q -c 0x81000010 -o /dev/null
tpm2 load -Q -C 0x81000010 -u tools.pub -r tools.priv -c tools.ctx
tpm2 readpublic -Q -c tools.ctx -f pem -o tools.pub.pem
openssl pkey -pubin -in tools.pub.pem -out tools.spki
tpm2 evictcontrol -Q -C o -c tools.ctx 0x81000011 -o /dev/null
tpm2 flushcontext -t
succeeds lk key import tools.pem --label tools --pin-file pin --password-file /dev/null
same_key tools tools.spki
succeeds lk key import --handle 0x81000011 --label persistent --pin-file pin --force
same_key persistent tools.spki
tpm2 create -Q -C 0x81000010 -G rsa2048 -p sesame -u r.pub -r r.priv -c r.ctx
tpm2 readpublic -Q -c r.ctx -f pem -o r.pub.pem
openssl pkey -pubin -in r.pub.pem -out r.spki
tpm2 evictcontrol -Q -C o -c r.ctx 0x81000012 -o /dev/null
tpm2 flushcontext -t
succeeds lk key import --handle 0x81000012 --type rsa --label protected --pin-file pin --password-file password
same_key protected r.spki

# --- an HMAC key, bound to its hash; and one that no TPM made --------------------------------------------
echo text >text
tpm2 create -Q -C 0x81000010 -G hmac:sha384 -u mac.pub -r mac.priv -c mac.ctx
tpm2 hmac -c mac.ctx -g sha384 --hex text >want
tpm2 encodeobject -Q -C 0x81000010 -u mac.pub -r mac.priv -o mac.pem
tpm2 flushcontext -t
tpm2 flushcontext -l
succeeds lk key import mac.pem --label mac --pin-file pin --password-file /dev/null --json
json 'd["type"] == "SHA384_HMAC 384"'
succeeds lk sign mac text --mechanism hmac-sha384 --pin-file pin -o mac.sig
same "$(od -An -v -tx1 mac.sig | tr -d ' \n')" "$(cat want)"
printf '0123456789abcdef0123' >raw
tpm2 import -Q -C 0x81000010 -G hmac -i raw -u i.pub -r i.priv
tpm2 load -Q -C 0x81000010 -u i.pub -r i.priv -c i.ctx
tpm2 evictcontrol -Q -C o -c i.ctx 0x81000015 -o /dev/null
tpm2 flushcontext -t
tpm2 flushcontext -l

# --- the owner's primary key is made anew at each use, its child is persistent -------------------------
tpm2 createprimary -Q -C o -G ecc -c passing.ctx
tpm2 create -Q -C passing.ctx -G ecc256 -a 'sign|userwithauth|sensitivedataorigin|fixedtpm|fixedparent' -u c.pub -r c.priv -c c.ctx
tpm2 flushcontext -t
tpm2 readpublic -Q -c c.ctx -f pem -o c.pub.pem
openssl pkey -pubin -in c.pub.pem -out c.spki
tpm2 evictcontrol -Q -C o -c c.ctx 0x81000013 -o /dev/null
tpm2 flushcontext -t
succeeds lk key import --handle 0x81000013 --label child --pin-file pin
same_key child c.spki
succeeds lk key show child --login --pin-file pin --json
json 'd["usage"] == ["sign"]'

# --- a parent that has a password of its own ------------------------------------------------------------
tpm2 createprimary -Q -C o -G ecc -p sesame -c guarded.ctx
tpm2 evictcontrol -Q -C o -c guarded.ctx 0x81000014 -o /dev/null
tpm2 flushcontext -t
tpm2 create -Q -C 0x81000014 -P sesame -G ecc256 -u g.pub -r g.priv
tpm2 encodeobject -Q -C 0x81000014 -P sesame -u g.pub -r g.priv -o guarded.pem
tpm2 flushcontext -l

# --- what cannot be taken in -----------------------------------------------------------------------
count
before=$objects
exits 1 lk key import --handle 0x81000010 --label parent --type rsa --pin-file pin
complains 'of a kind that cannot be used here'
exits 1 lk key import --handle 0x81000015 --type hmac-sha256 --label other --pin-file pin
complains 'nothing tells how long it is'
LATCHKEY_LOG=error exits 1 lk key import guarded.pem --label guarded --pin-file pin --password-file /dev/null
complains 'its parent has an authorization of its own'
exits 3 lk key import --handle 0x81000099 --label none --pin-file pin
exits 2 lk key import --handle 0x01800000 --label none --pin-file pin
exits 2 lk key import --label none --pin-file pin
echo secret | tpm2 create -Q -C 0x81000010 -i - -u s.pub -r s.priv
tpm2 encodeobject -Q -C 0x81000010 -u s.pub -r s.priv -o sealed.pem
exits 1 lk key import sealed.pem --label sealed --pin-file pin --password-file /dev/null
sed 5d ec.pem >damaged.pem
exits 1 lk key import damaged.pem --label damaged --pin-file pin
edited() { # PYTHON of d, ec.pem's fields: the file edited.pem has them instead
    python3 - "$1" <<'P'
import base64, sys
lines = open("ec.pem").read().split("\n")
der = base64.b64decode("".join(lines[1:-2]))
d = der[der[1] % 128 + 2 if der[1] > 127 else 2:]
d = eval(sys.argv[1])
der = b"\x30\x82" + len(d).to_bytes(2, "big") + d
open("edited.pem", "w").write("\n".join([lines[0], base64.b64encode(der).decode(), *lines[-2:]]))
P
}
edited 'd'
succeeds lk key import edited.pem --label edited --pin-file pin --force
succeeds lk key delete edited --pin-file pin -y
edited 'd.replace(b"\x67\x81\x05\x0a\x01\x03", b"\x67\x81\x05\x0a\x01\x05")'
exits 1 lk key import edited.pem --label edited --pin-file pin --force
complains 'it is sealed data'
edited 'd.replace(b"\x02\x04\x40\0\0\1", b"\xa1\2\x30\0\x02\x04\x40\0\0\1")'
exits 1 lk key import edited.pem --label edited --pin-file pin --force
complains 'it wants a policy'
edited 'd.replace(b"\x02\x04\x40\0\0\1", b"\x02\x05\1\0\0\0\0")'
exits 1 lk key import edited.pem --label edited --pin-file pin --force
complains 'its parent is no TPM handle'
edited 'd[:-1] + bytes([d[-1] ^ 1])' # the wrapped key
exits 1 lk key import edited.pem --label edited --pin-file pin --force
edited 'd.replace(b"\x00\x23\x00\x0b", b"\x00\x24\x00\x0b")' # no algorithm of keys
exits 1 lk key import edited.pem --label edited --pin-file pin --force
complains 'of a kind that cannot be used here'
exits 2 lk key import rsa.pem --label leaves --pin-file pin --extractable --force
count
same "$objects" "$before"

# --- another TPM's -----------------------------------------------------------------------------------
stop_tpm
mv tpm tpm.first
start_tpm
tpm2_openssl genpkey -algorithm EC -pkeyopt group:P-256 -out foreign.pem 2>/dev/null
stop_tpm
rm -rf tpm
mv tpm.first tpm
start_tpm
exits 1 lk key import foreign.pem --label foreign --pin-file pin
complains "another TPM's"
count
same "$objects" "$before"
same_key ec ec.pub # after a restart of the TPM, too
same_key persistent tools.spki

finish

#!/bin/bash
# Keys: every type made, listed for people and scripts, shown, found by label and URI, deleted.
. "$(dirname "$0")/lib.sh"
start_token

succeeds lk key list --json
json 'd == []'
exits 2 lk key generate --label ec256
exits 3 lk key generate --label ec256 --pin-file nowhere
succeeds lk key generate --label ec256 --pin-file pin
prints 'URI +pkcs11:token=web;id=(%..){8};object=ec256;type=private'
prints 'ssl_certificate_key "engine:pkcs11:pkcs11:token=web;id='
prints 'PKCS11_MODULE_PATH='
prints 'ssh-keygen -D .*\.so'

for curve in P-384 P-521; do
    succeeds lk key generate --label "ec-$curve" --curve "$curve" --usage sign,derive --pin-file pin --json
    json "d['type'] == 'EC $curve'"
done
succeeds lk key generate --label rsa --type rsa --id 0a:0B --pin-file pin --json
json 'd["type"] == "RSA 2048" and d["id"] == "0a0b" and d["uri"].count("id=%0A%0B") == 1'
succeeds lk key generate --label rsa3 --bits 3072 --usage decrypt --pin-file pin
exits 7 lk key generate --label rsa --pin-file pin
complains 'taken'
exits 7 lk key generate --label fresh --id 0a0b --pin-file pin

succeeds lk key list --json
json '{k["label"] for k in d} == {"ec256", "ec-P-384", "ec-P-521", "rsa", "rsa3"}'
json 'all(k["class"] == "public" for k in d)'
succeeds lk key list --login --pin-file pin --json
json 'len(d) == 5 and all(k["class"] == "private" for k in d)'
json '[k["usage"] for k in d if k["label"] == "rsa"] == [["sign", "decrypt"]]'
json '[k["usage"] for k in d if k["label"] == "rsa3"] == [["decrypt"]]'
json '[k["usage"] for k in d if k["label"] == "ec256"] == [["sign"]]'
json '[k["usage"] for k in d if k["label"] == "ec-P-384"] == [["sign", "derive"]]'
succeeds lk key list --login --pin-file pin
on_softhsm || prints '^LABEL +ID +TYPE +CLASS +USAGE +PROTECTION$'
on_softhsm && prints '^LABEL +ID +TYPE +CLASS +USAGE$'
prints '^rsa +0a0b +RSA 2048 +private +sign,decrypt( +tpm)?$'

succeeds lk key show ec256
prints 'BEGIN PUBLIC KEY'
succeeds lk key show ec256 --login --pin-file pin --json
json 'd["class"] == "private" and d["local"] and not d["extractable"]'
json 'd["always_authenticate"] is False and "BEGIN PUBLIC KEY" in d["public_key"]'
succeeds lk key show 'pkcs11:id=%0a%0b' --json
json 'd["label"] == "rsa" and d["class"] == "public" and d["extractable"] is None'
python3 -c 'import json; print(json.load(open("out"))["public_key"], end="")' >rsa.pub
holds openssl pkey -pubin -in rsa.pub -noout
succeeds lk key show 'pkcs11:token=web;object=rsa;type=private' --login --pin-file pin
exits 3 lk key show 'pkcs11:token=web;object=rsa;type=private'
complains '--login'
exits 3 lk key show nothing
exits 3 lk key show 'pkcs11:token=other;object=rsa'
exits 2 lk key show 'pkcs11:token=web'
exits 2 lk key show 'pkcs11:object=%zz'

# a label that could drive the terminal does not
succeeds lk key generate --label $'ev\033[2Jil' --pin-file pin
succeeds lk key list
prints '^ev\?\[2Jil '
prints_not $'\033'
succeeds lk key list --json
json '"ev\x1b[2Jil" in [k["label"] for k in d]'

succeeds lk object list --json
json 'len(d) == 6 and {o["class"] for o in d} == {"public"}'
succeeds lk object list --login --pin-file pin --json
json 'len(d) == 12 and {o["class"] for o in d} == {"public", "private"}'

exits 2 lk key delete ec256 --pin-file pin
complains 'terminal'
exits 1 lk_typing 'no' key delete ec256 --pin-file pin
succeeds lk_typing 'yes' key delete ec256 --pin-file pin
exits 3 lk key show ec256 --login --pin-file pin
succeeds lk key delete 'pkcs11:object=rsa;type=public' --pin-file pin --yes
exits 3 lk key show rsa
succeeds lk key show rsa --login --pin-file pin
succeeds lk key delete rsa -y --pin-file pin
exits 3 lk key show rsa --login --pin-file pin
exits 4 lk key delete rsa3 -y --pin-file so-pin
succeeds lk key show rsa3
finish

// A server and a client over mutual TLS, each with its key and certificate in a token, by crypto11:
//
//	mutual serve CONFIG LABEL CA.crt VERSION ADDRESS
//	mutual get   CONFIG LABEL CA.crt VERSION ADDRESS [TIMES]
//
// The server answers with what it knows of the client; get asks TIMES times at once, with a handshake each.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/ThalesIgnite/crypto11"
)

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// identity is the key pair and the certificate of that label.
func identity(token *crypto11.Context, label string) (tls.Certificate, error) {
	key, err := token.FindKeyPair(nil, []byte(label))
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := token.FindCertificate(nil, []byte(label), nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	if key == nil || certificate == nil {
		return tls.Certificate{}, fmt.Errorf("%s: no key, or no certificate", label)
	}
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}, nil
}

func config(label, ca, version string, token *crypto11.Context) (*tls.Config, error) {
	self, err := identity(token, label)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	return &tls.Config{
		Certificates: []tls.Certificate{self},
		RootCAs:      trusted, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: versions[version], MaxVersion: versions[version],
	}, nil
}

func serve(config *tls.Config, address string) error {
	server := http.Server{Addr: address, TLSConfig: config}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := r.TLS.PeerCertificates[0]
		fmt.Fprintf(w, "client=%s key=%s version=%#x\n", peer.Subject.CommonName, peer.PublicKeyAlgorithm, r.TLS.Version)
	})
	return server.ListenAndServeTLS("", "")
}

func page(config *tls.Config, address string) (string, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	answer, err := client.Get("https://" + address + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	peer := answer.TLS.PeerCertificates[0]
	return fmt.Sprintf("server=%s key=%s %s", peer.Subject.CommonName, peer.PublicKeyAlgorithm, text), err
}

func get(config *tls.Config, address string, times int) error {
	var all sync.WaitGroup
	failures := make(chan error, times)
	for i := 0; i < times; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			text, err := page(config, address)
			if err != nil {
				failures <- err
			}
			fmt.Print(text)
		}()
	}
	all.Wait()
	close(failures)
	return <-failures
}

func run(args []string) error {
	token, err := crypto11.ConfigureFromFile(args[2])
	if err != nil {
		return err
	}
	defer token.Close()
	tls, err := config(args[3], args[4], args[5], token)
	if err != nil {
		return err
	}
	if args[1] == "serve" {
		return serve(tls, args[6])
	}
	times := 1
	if len(args) > 7 {
		times, _ = strconv.Atoi(args[7])
	}
	return get(tls, args[6], times)
}

func main() {
	if err := run(os.Args); err != nil {
		log.Fatal(err)
	}
}

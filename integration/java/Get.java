import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.stream.IntStream;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;

/**
 * Gets a page by HTTPS, with a key and certificate of a token, once or from several threads at once: Get CONFIG PIN-FILE
 * ALIAS CA.crt PROTOCOL URL [TIMES]
 */
public class Get {
    /** The keys of the token, of which one is taken whatever the server would like. */
    static class OneKey extends X509ExtendedKeyManager {
        private final X509ExtendedKeyManager all;
        private final String alias;

        OneKey(KeyManager all, String alias) {
            this.all = (X509ExtendedKeyManager) all;
            this.alias = alias;
        }

        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return alias;
        }

        public X509Certificate[] getCertificateChain(String name) {
            return all.getCertificateChain(name);
        }

        public PrivateKey getPrivateKey(String name) {
            return all.getPrivateKey(name);
        }

        public String[] getClientAliases(String type, Principal[] issuers) {
            return new String[] {alias};
        }

        public String[] getServerAliases(String type, Principal[] issuers) {
            return null;
        }

        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return null;
        }
    }

    static KeyStore token(String config, String pinFile) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(config);
        Security.addProvider(provider);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, Files.readString(Path.of(pinFile)).toCharArray());
        return store;
    }

    static KeyStore trusted(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        return store;
    }

    static SSLContext context(String[] args) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(token(args[0], args[1]), null);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted(args[3]));
        SSLContext context = SSLContext.getInstance(args[4]);
        KeyManager[] one = {new OneKey(keys.getKeyManagers()[0], args[2])};
        context.init(one, trust.getTrustManagers(), null);
        return context;
    }

    static String get(SSLContext context, String url) {
        try {
            HttpsURLConnection connection = (HttpsURLConnection) new URI(url).toURL().openConnection();
            connection.setSSLSocketFactory(context.getSocketFactory());
            try (InputStream page = connection.getInputStream()) {
                return new String(page.readAllBytes(), StandardCharsets.UTF_8);
            }
        } catch (Exception e) {
            throw new RuntimeException(e);
        }
    }

    public static void main(String[] args) throws Exception {
        SSLContext context = context(args);
        int times = args.length > 6 ? Integer.parseInt(args[6]) : 1;
        IntStream.range(0, times).parallel().mapToObj(i -> get(context, args[5])).forEach(System.out::println);
    }
}

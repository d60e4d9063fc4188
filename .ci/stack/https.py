"""The https addresses of a stack: an HTTP proxy (HTTPS_PROXY) that is itself the server of these addresses, with its own
certificate authority (SSL_CERT_FILE), and passes requests on to MiniStack. Any other address is refused."""

import datetime
import http.client
import http.server
import pathlib
import re
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ministack.services import apigateway, cognito

API = re.compile(r"([0-9a-f]{8})\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")
LOGIN = re.compile(r"([a-z0-9-]+)\.auth\.([a-z0-9-]+)\.amazoncognito\.com")


SIGNS = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
    key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)


def served(host):
    """MiniStack's name for this host, or None if there is no such API or user pool in that region."""
    if (found := API.fullmatch(host)) and (apigateway.find_api_scope(found[1]) or ("", ""))[1] == found[2]:
        return f"{found[1]}.execute-api.localhost"
    if found := LOGIN.fullmatch(host):
        if any(domain == found[1] and region == found[2] for (_, region, domain), _ in cognito._pool_domain_map.all_items()):
            return "localhost"
    return None


class Authority:
    def __init__(self, folder):
        self.folder, self.contexts, self.lock = pathlib.Path(folder), {}, threading.Lock()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "make stack-test")])
        own = self.certificate(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0), SIGNS)
        (self.folder / "authority.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def certificate(self, subject, key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=not isinstance(extension, x509.SubjectAlternativeName))
        return builder.sign(self.key, hashes.SHA256())

    def context(self, host):
        with self.lock:
            if host not in self.contexts:
                key = ec.generate_private_key(ec.SECP256R1())
                subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stack")])
                certificate = self.certificate(subject, key.public_key(), x509.SubjectAlternativeName([x509.DNSName(host)]))
                file = self.folder / f"{host}.pem"
                file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(file)
                self.contexts[host] = context
            return self.contexts[host]


def serve(port, folder, ministack):
    authority = Authority(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        inner = None  # MiniStack's name of the host, after the connection is a tunnel

        def do_CONNECT(self):
            host, _, wanted = self.path.partition(":")
            self.inner = served(host)
            if wanted != "443" or not self.inner:
                self.send_error(502, f"there is no {self.path}")
                return
            self.send_response(200)
            self.end_headers()
            self.connection = authority.context(host).wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            self.close_connection = False

        def pass_on(self):
            if not self.inner:
                self.send_error(502, "only https")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection("127.0.0.1", ministack)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            upstream.request(self.command, self.path, body, headers | {"Host": f"{self.inner}:{ministack}"})
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = pass_on

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

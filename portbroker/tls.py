"""What TLS to a provider needs: whom we trust, and what we show. The one rule: a certificate is always verified."""

import ssl


class UnfitFile(ValueError):
    """A file is not what TLS needs; the text completes "the file …"."""


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A context with the system's trust store, or `ca_file` in its stead. Raises `UnfitFile`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UnfitFile("holds no certificates") from error


def show(context: ssl.SSLContext, client_cert: str) -> None:
    """Show the certificate in this file to whoever asks for one. Raises `UnfitFile`."""
    try:
        context.load_cert_chain(client_cert, password="")  # else OpenSSL would ask the terminal for one
    except (OSError, ssl.SSLError) as error:
        raise UnfitFile("holds no certificate with an unencrypted key") from error

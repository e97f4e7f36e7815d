"""Why an address cannot be reached, step by step: name, connection, TLS. For people; a run only needs to know that."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Final

from target_amplemarket.errors import SettingsError
from target_amplemarket.services.addresses import check_base_url, split_url

_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}


def why_unreachable(base_url: str, proxy: str | None, *, timeout_s: float = _TIMEOUT_S) -> str | None:
    """Try the steps of a call before its first byte, and say in words which of them fails; None if none does.

    Args:
        base_url: Address of the API.
        proxy: Where there is one it is what has to be reached; what lies behind it is not tried.
        timeout_s: For each step.
    """
    try:
        parts = split_url(proxy, "the proxy") if proxy else split_url(check_base_url(base_url), "base_url")
    except SettingsError as fault:
        return str(fault)
    from target_amplemarket.services.http import tls_context

    host, who = parts.hostname or "", "the proxy" if proxy else "the API"
    port = parts.port or _PORTS.get(parts.scheme, 443)
    try:
        with contextlib.closing(socket.create_connection((host, port), timeout_s)) as connection:
            if parts.scheme == "https":
                tls_context().wrap_socket(connection, server_hostname=host).close()
    except socket.gaierror:
        return f"DNS does not know the host of {who}: check its spelling, and the machine's name servers"
    except ssl.SSLCertVerificationError as fault:
        return f"the certificate of {who} is not to be trusted ({_certificate_fault(fault)}); {_OWN_CA}"
    except ssl.SSLError:
        return f"{who} does not speak TLS 1.2 or later on port {port}: check scheme and port"
    except TimeoutError:
        return f"{who} does not answer on port {port} within {timeout_s:g} s: a firewall may drop the calls"
    except ConnectionRefusedError:
        return f"nothing listens on port {port} of the host of {who}: check the port, or start the server"
    except OSError as fault:
        return f"no connection to {who} on port {port} ({fault.strerror or type(fault).__name__}): check the network"
    return None


_OWN_CA: Final = "where a company's own CA signs, name its file in SSL_CERT_FILE; verification cannot be switched off"


def _certificate_fault(fault: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's words; those about the host name would repeat what the certificate says."""
    return "it is for another host" if fault.verify_code in {62, 64} else str(fault.verify_message)

"""Sockets that are bound once and handed on."""

import socket

import pytest

from portbroker.listening import StartError, bind, close, url_of, waiting


def test_every_address_of_a_name_listens_at_one_port() -> None:
    sockets = bind("localhost", 0)
    try:
        ports = {sock.getsockname()[1] for sock in sockets}
        assert len(ports) == 1
        assert url_of(sockets).endswith(f":{ports.pop()}")
        families = {info[0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
        assert {sock.family for sock in sockets} <= families
    finally:
        close(sockets)


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    sockets = bind("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    try:
        with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*; set another port"):
            bind("127.0.0.1", port)
    finally:
        close(sockets)


def test_an_address_that_others_reach_is_refused_before_anything_is_bound() -> None:
    with pytest.raises(StartError, match=r"refusing to listen on 0\.0\.0\.0"):
        bind("0.0.0.0", 0)


def test_connections_that_nobody_has_accepted_are_found() -> None:
    sockets = bind("127.0.0.1", 0)
    clients = [socket.create_connection(sockets[0].getsockname(), timeout=5) for _ in range(3)]
    accepted = waiting(sockets)
    assert {c.getpeername() for c in accepted} == {c.getsockname() for c in clients}
    assert waiting(sockets) == []
    close([*sockets, *clients, *accepted])

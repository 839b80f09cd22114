"""Client keys and their bindings."""

import pytest

from router.auth import Auth, Binding, client_keys
from traffic.errors import MissingSecret


def test_keys_can_be_bound_to_a_call_site_or_a_customer_and_may_end_with_an_equals_sign() -> None:
    bound = client_keys("KEYS", {"KEYS": "plain, a1=support.intent,b2=customer:acme,c3==,"})
    assert bound == {
        b"plain": Binding(),
        b"a1": Binding(call_site="support.intent"),
        b"b2": Binding(customer_id="acme"),
        b"c3==": Binding(),
    }


def test_without_a_variable_there_are_no_keys_and_an_empty_one_is_an_error() -> None:
    assert client_keys(None, {}) == {}
    with pytest.raises(MissingSecret, match="KEYS is not set"):
        client_keys("KEYS", {"KEYS": " , "})


@pytest.mark.parametrize("header", [b"x-api-key", b"api-key"])
def test_the_key_may_be_in_the_header_of_anthropics_or_azures_clients(header: bytes) -> None:
    auth = Auth("KEYS", {"KEYS": "a"})
    assert auth.refusal({header: b"a"}) is None
    assert auth.refusal({header: b"b"}) is not None

from tests.tracking.conftest import viewed
from tracking.models import Event, QuarantinedEvent


def test_a_batch_is_stored(sender, store):
    response = sender.batch(viewed("p1", messageId="m1"), viewed("p2", messageId="m2"))
    assert response.content == b'{"success":true}'
    assert sorted(Event.objects.for_store(store).values_list("message_id", "product_id", "name")) == [
        ("m1", "p1", "Product Viewed"),
        ("m2", "p2", "Product Viewed"),
    ]
    assert not QuarantinedEvent.objects.for_store(store).exists()

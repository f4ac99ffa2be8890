"""A WHIP and WHEP client (RFC 9725, draft-ietf-wish-whep): what `palco publish` and `palco listen` speak.

    from signalling.client.resource import Place
    from signalling.client.session import listen, publish
    from signalling.client.sources import FileTrack, ToneTrack

    place = Place(url="http://127.0.0.1:7880", space="demo", token=token)
    async with publish(place, ToneTrack(440)) as speaking: ...
    async with listen(place, slots=3) as listening: ...

`signalling.client.calls` is the client of everything else: spaces, moderation, captions, links, events.

Also the client of tests and benchmarks: media by aiortc, HTTP by httpx2. Nothing is imported here, so that commands
which need no media start without it.
"""

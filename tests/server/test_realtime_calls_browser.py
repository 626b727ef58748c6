"""A page of the server's own origin calls it over WebRTC, in Chromium: with a microphone, and with no right to one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from tests.server.harness import Serve, until

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium")

CALL = """async (speaks) => {
  window.events = [];
  window.peak = 0;
  const peer = new RTCPeerConnection();
  const channel = peer.createDataChannel("oai-events");
  if (speaks) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    stream.getTracks().forEach((track) => peer.addTrack(track, stream));
  } else {
    peer.addTransceiver("audio", { direction: "recvonly" });
  }
  peer.ontrack = ({ streams }) => {
    const audio = new Audio();
    audio.srcObject = streams[0];
    audio.play();
    const context = new AudioContext();
    const meter = context.createAnalyser();
    context.createMediaStreamSource(streams[0]).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      window.peak = Math.max(window.peak, ...samples.map(Math.abs));
    }, 20);
  };
  channel.onmessage = ({ data }) => window.events.push(JSON.parse(data).type);
  const opened = new Promise((resolve) => { channel.onopen = resolve; });
  await peer.setLocalDescription(await peer.createOffer());
  if (peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
      setTimeout(resolve, 2000);
    });
  }
  const answer = await fetch("/v1/realtime/calls?model=desk", {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await opened;
  window.peer = peer;
  window.channel = channel;
  return answer.status;
}"""


async def until_told(page: Page, kind: str) -> None:
    await page.wait_for_function(f"window.events.includes('{kind}')", timeout=10_000)


@pytest.mark.parametrize("speaks", [True, False])
async def test_a_page_talks_to_the_server(serve: Serve, speaks: bool) -> None:
    options: dict[str, Any] = {"executable_path": CHROMIUM}
    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream"]
    if speaks:
        flags.append("--use-fake-ui-for-media-stream")  # Its microphone beeps once a second.
    async with serve(dev=True) as up, async_playwright() as playwright:
        browser = await playwright.chromium.launch(**options, args=flags)
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{up.port}/health")
        assert await page.evaluate(CALL, speaks) == 201
        await until_told(page, "session.created")
        if speaks:
            await until_told(page, "input_audio_buffer.speech_started")
        else:
            await page.evaluate("channel.send(JSON.stringify({ type: 'response.create' }))")
            await until_told(page, "output_audio_buffer.stopped")
            assert await page.evaluate("peak") == pytest.approx(0.4, abs=0.2)
        await page.evaluate("peer.close()")
        async with asyncio.timeout(2):
            await until(lambda: up.board.admission.live == 0)
        await browser.close()

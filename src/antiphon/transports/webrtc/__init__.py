"""Calls over WebRTC: media by RTP, events by a data channel. Needs the extra ``webrtc`` where ``peer`` is imported."""

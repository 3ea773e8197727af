"""Driven adapters that need no cloud. Each is *translate, call, translate*."""

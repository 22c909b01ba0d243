# SPDX-License-Identifier: MIT
"""Scenarios that need more than a row of the table."""

TESTS = {}

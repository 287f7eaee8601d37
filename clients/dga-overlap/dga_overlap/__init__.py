"""Delayed gradient averaging whose training goes on while messages travel, as a Flower app and a trainer beside each SuperNode."""

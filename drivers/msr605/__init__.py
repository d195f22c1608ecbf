"""MSR605, MSR606 and MSR206 magnetic stripe encoders."""

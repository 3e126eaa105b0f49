"""The verbs of the `areca` command, by what they are about.

Everything heavy is imported inside the verbs: `areca --help` answers at once.
"""

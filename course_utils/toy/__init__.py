"""The toy language: `grammar` is data, `generator` writes documents, `language` knows the truth about them,
and `tasks` makes labelled examples for fine-tuning.
"""

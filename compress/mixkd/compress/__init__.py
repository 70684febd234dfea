"""Teacher to student: fine-tuning and MixKD distillation (torch, transformers)."""

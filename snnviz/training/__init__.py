"""Parts of training that need no trainer: records, optimizers, batches, the meter, evaluation."""

/* A whole TPM 2.0 in this process: libtpms, which is what swtpm runs. Its state is in memory, and
 * goes back to a snapshot when something changed it. The module finds it by any tcti but swtpm's,
 * which it connects itself. */
#ifndef INNER_TPM_H
#define INNER_TPM_H

/* Power, TPM2_Startup, and dictionary-attack limits that wrong PINs do not reach. */
void inner_tpm_start(void);
/* What inner_tpm_restore goes back to. */
void inner_tpm_snapshot(void);
/* As at the snapshot where NV memory changed since. */
void inner_tpm_restore(void);

#endif

#include "transports.h"

#include <stdio.h>

#include "broker.h"

static bool broker_running, manager_running;
static char straight[160], manager_path[120];

static void set(const char *tcti, const char *manager)
{
    char path[80];
    snprintf(path, sizeof path, "%s/latchkey.conf", fx.dir); /* XDG_CONFIG_HOME is this directory */
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "resource-manager = %s\n", manager);
    fclose(f);
    setenv("LATCHKEY_TCTI", tcti, 1);
}

static void use_kernel(void)
{
    snprintf(manager_path, sizeof manager_path, "%s.rm", fx.tpm.socket);
    if (!manager_running)
        resource_manager_start(&fx.tpm, manager_path);
    manager_running = true;
    set(resource_manager_tcti(manager_path), "yes");
}

static bool broker_answers(void)
{
    for (int i = 0; i < 200; i++) {
        assert_ok(initialize("log-file=/dev/null"));
        CK_BYTE random; /* has its first bytes from the TPM */
        CK_SESSION_HANDLE session = open_session(fx.slot, 0);
        CK_RV rv = p11->C_GenerateRandom(session, &random, 1);
        assert_ok(p11->C_Finalize(NULL));
        if (rv == CKR_OK)
            return true;
        sleep_ms(50);
    }
    return false;
}

static bool use_broker(void)
{
    if (!broker_installed())
        return false;
    set(BROKER_TCTI, "auto");
    if (broker_running)
        return true;
    assert_true(broker_start(straight));
    broker_running = true;
    assert_true(broker_answers());
    return true;
}

bool transport_use(enum transport transport)
{
    snprintf(straight, sizeof straight, "swtpm:path=%s", fx.tpm.socket);
    if (transport == TRANSPORT_BROKER)
        return use_broker();
    if (transport == TRANSPORT_KERNEL)
        use_kernel();
    else
        set(straight, "auto");
    return true;
}

static unsigned slots_taken(void)
{
    return swtpm_handles(&fx.tpm, 0x80) + swtpm_handles(&fx.tpm, 0x02) +
           swtpm_handles(&fx.tpm, 0x03);
}

void transport_settle(enum transport transport)
{
    if (transport == TRANSPORT_BARE)
        return; /* there is nobody who would clear up later */
    for (int i = 0; i < 500; i++) {
        if (slots_taken() == 0 &&
            (transport == TRANSPORT_BROKER || resource_manager_clients() == 0))
            return;
        sleep_ms(10);
    }
}

void transports_stop(void)
{
    if (manager_running)
        resource_manager_stop();
    if (broker_running)
        broker_stop();
    broker_running = manager_running = false;
}

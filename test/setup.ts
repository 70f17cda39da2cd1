// Tests see one time zone and no settings of the machine.
process.env.TZ = "Asia/Shanghai";
for (const name of Object.keys(process.env)) {
  if ((name.startsWith("LX_") && name !== "LX_TEST_HEAVY") || /_proxy$/i.test(name)) delete process.env[name];
}

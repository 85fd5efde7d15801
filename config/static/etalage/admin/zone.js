// Tells the server the viewer's time zone, so that the admin's times are the viewer's. A preference, not an identifier.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  document.cookie = `etalage_admin_zone=${zone}; path=/admin/; max-age=31536000; SameSite=Lax`;
}

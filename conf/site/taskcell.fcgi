#!/bin/sh
# Apache starts this, as often as it likes. Written by taskcellctl install-site.
exec '@HOME@/bin/taskcell' --worker -c '@HOME@/etc/taskcell.conf'

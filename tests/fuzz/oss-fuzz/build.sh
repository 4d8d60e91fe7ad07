#!/bin/bash -eu
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by OSS-Fuzz in the folder of the source, with $CC, $CFLAGS, $LIB_FUZZING_ENGINE, $SANITIZER, $WORK and $OUT set.
# The compiler's flags, a sanitizer's among them, come from it: the build is told of none.
meson setup "$WORK/build" --buildtype=plain -Db_lundef=false -Dwerror=false \
    -Dfuzzing=true -Dfuzzing_engine="$LIB_FUZZING_ENGINE" -Dc_link_args='-Wl,-rpath,$ORIGIN/lib' \
    -Dnbd=disabled -Dcurl=disabled -Dio_uring=disabled -Dseccomp=disabled -Ddocs=disabled -Dmap=enabled
mapfile -t targets < <(ninja -C "$WORK/build" -t targets all | sed -n 's,^\(tests/fuzz/fuzz-[a-z0-9]*\): c_LINKER$,\1,p')
[ ${#targets[@]} -gt 0 ]
ninja -C "$WORK/build" "${targets[@]}"
tests/fuzz/run --pack "$OUT" "${targets[@]/#/$WORK/build/}"

# Targets run where no libraries are but those of C and C++.
mkdir -p "$OUT/lib"
for target in "${targets[@]}"; do
    ldd "$WORK/build/$target"
done | sed -n 's,.* => \(/[^ ]*\) .*,\1,p' | sort -u |
    grep -Ev '/(libc|libm|libgcc_s|libstdc\+\+|libpthread|libdl|librt|libresolv)\.so' | xargs -I{} cp -L {} "$OUT/lib/"

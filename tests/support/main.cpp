// Catch2 2 is header-only and wants its main compiled here; version 3 brings a library for that.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif

#pragma once

// What most tests include and what costs most to read, compiled once for all of them. Every test still
// includes what it uses: CMAKE_DISABLE_PRECOMPILE_HEADERS builds without this.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/daguerre.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "support/catch.hpp"

#pragma once

/// The facade: everything a host application needs to make pictures. Costs the host little: no Eigen, JSON or
/// stb behind it. The layers below (core/, config/, ops/, weights/, nn/, models/, text/, samplers/, media/)
/// have headers of their own.

#include "daguerre/core/error.hpp"
#include "daguerre/core/version.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/cascade.hpp"
#include "daguerre/pipeline/pipeline.hpp"

#pragma once

/// The facade: everything a host application needs to make pictures. Costs the host little: no Eigen, JSON or stb behind
/// it. The layers below (tensor/, ops/, weights/, nn/, models/, text/, samplers/) have headers of their own.

#include "daguerre/error.hpp"
#include "daguerre/pipeline/image.hpp"
#include "daguerre/pipeline/infotext.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/version.hpp"
